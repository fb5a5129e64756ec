# Without the contrastive loss: its memory holds embeddings of the same class as negatives, which at 128 channels
# keeps the last layer from telling classes apart (docs/en/results.md).
_base_ = './refiner.py'

refiner = dict(
    embed_dims=128,
    mask_channels=64,
    num_layers=3,
    num_heads=4,
    feedforward_channels=256,
    criterion=dict(num_points=1024),
    matcher=dict(num_points=1024),
    reid_loss=None)
