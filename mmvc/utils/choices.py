# Copyright (c) The mmvc contributors. All rights reserved.
"""Values that arguments may take, and names that help texts state. Parsers use them without heavy imports."""

#: how the processes of a run were started
LAUNCHERS = ('none', 'pytorch', 'slurm')
#: service to watch a training, on the command line -> class, package to install, module that it imports
VIS_BACKENDS = dict(
    tensorboard=('TensorboardVisBackend', 'tensorboard', 'tensorboard'),
    wandb=('WandbVisBackend', 'wandb', 'wandb'),
    mlflow=('MLflowVisBackend', 'mlflow', 'mlflow'))
#: least and greatest number of frames per second of an mp4
FPS_RANGE = (0.01, 600)
#: forms of the pictures of a video
PICTURE_FORMS = ('sheet', 'frames', 'video')
#: what an inferencer writes
OUTPUT_FORMATS = ('overlay', 'masks', 'rle', 'official')
#: what runs a model: PyTorch, or ONNX Runtime an exported graph
BACKENDS = TORCH, ONNX_RUNTIME = ('torch', 'onnxruntime')
#: format of an exported graph -> suffix of its file
GRAPH_FORMATS = {'onnx': '.onnx', 'torch-export': '.pt2'}
#: score from which a track counts for J&F, IDF1 and HOTA, if no other is given: that of the tracks that pictures show
MIN_TRACK_SCORE = 0.3
#: name of the weights, and of the model card, in a folder of save_pretrained()
SHARED_WEIGHTS = 'model.safetensors'
CARD_NAME = 'README.md'
