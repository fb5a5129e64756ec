_base_ = './testbed_offline.py'

stages = [
    dict(name='segmenter', config='./testbed_segmenter.py'),
    dict(name='online', config='./testbed_online.py'),
    dict(name='offline', config='./testbed_offline.py'),
]
