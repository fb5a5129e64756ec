_base_ = ['./_testbed.py', './_loss.py']

title = 'Switch against sum, probability (p) and lambda (l), generated videos'
metrics = _base_.of_segmenter
