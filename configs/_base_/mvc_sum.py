# The other form of the loss (arXiv 2406.04979, Eq. 4): every clip clean and, in a second pass, masked. Twice the time,
# not twice the memory.
mvc_sum = dict(patch_size=32, mask_ratio=0.7, mode='sum')
model_wrapper_cfg = dict(type='TwoPassDistributedDataParallel', broadcast_buffers=False)
