_base_ = './refiner.py'

refiner = dict(
    embed_dims=128,
    mask_channels=64,
    num_layers=3,
    num_heads=4,
    feedforward_channels=256,
    criterion=dict(num_points=1024),
    matcher=dict(num_points=1024))
