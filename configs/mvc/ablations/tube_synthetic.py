_base_ = ['./_testbed.py', './_variants.py']

title = 'Tube masks against masks per frame in stage 2, generated videos'
variants = _base_.tube
metrics = _base_.of_tracker
