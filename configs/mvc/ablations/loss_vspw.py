_base_ = ['./_vspw.py', './_loss.py']

title = 'Switch against sum, probability (p) and lambda (l), VSPW'
metrics = _base_.of_segmenter
