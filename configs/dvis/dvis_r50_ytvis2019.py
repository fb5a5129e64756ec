_base_ = './dvis_r50_ytvis2019_offline.py'

stages = [
    dict(name='segmenter', config='../minvis/minvis_r50_ytvis2019.py'),
    dict(name='online', config='./dvis_r50_ytvis2019_online.py'),
    dict(name='offline', config='./dvis_r50_ytvis2019_offline.py'),
]
