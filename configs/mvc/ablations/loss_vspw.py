_base_ = ['./_vspw.py', './_variants.py']

title = 'Switch against sum, probability (p) and lambda (l), VSPW'
variants = _base_.loss
metrics = _base_.of_segmenter
