_base_ = './dvis_r50_ovis_offline.py'

stages = [
    dict(name='segmenter', config='../minvis/minvis_r50_ovis.py'),
    dict(name='online', config='./dvis_r50_ovis_online.py'),
    dict(name='offline', config='./dvis_r50_ovis_offline.py'),
]
