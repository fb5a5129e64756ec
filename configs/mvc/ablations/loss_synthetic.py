_base_ = ['./_testbed.py', './_variants.py']

title = 'Switch against sum, probability (p) and lambda (l), generated videos'
variants = _base_.loss
metrics = _base_.of_segmenter
