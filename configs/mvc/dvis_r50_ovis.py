_base_ = './dvis_r50_ovis_offline.py'

stages = [
    dict(name='segmenter', config='./dvis_r50_ovis_segmenter.py'),
    dict(name='online', config='./dvis_r50_ovis_online.py'),
    dict(name='offline', config='./dvis_r50_ovis_offline.py'),
]
