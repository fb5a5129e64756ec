_base_ = ['./_testbed.py', './_tube.py']

title = 'Tube masks against masks per frame in stage 2, generated videos'
metrics = _base_.of_tracker
