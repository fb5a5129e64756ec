_base_ = ['./_vspw.py', './_variants.py']

title = 'Tube masks against masks per frame in stage 2, VSPW'
variants = _base_.tube
metrics = _base_.of_tracker
