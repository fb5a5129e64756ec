_base_ = ['./_vspw.py', './_tube.py']

title = 'Tube masks against masks per frame in stage 2, VSPW'
metrics = _base_.of_tracker
