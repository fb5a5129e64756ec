# Parameters, gradients and optimizer states spread over the GPUs (FSDP), for ViT-L on small ones: add it to
# `_base_`, or `--cfg-options runner_type=FlexibleRunner strategy.type=ShardedStrategy`.
runner_type = 'FlexibleRunner'
strategy = dict(type='ShardedStrategy')
