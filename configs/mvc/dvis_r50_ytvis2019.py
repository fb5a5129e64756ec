_base_ = './dvis_r50_ytvis2019_offline.py'

stages = [
    dict(name='segmenter', config='./dvis_r50_ytvis2019_segmenter.py'),
    dict(name='online', config='./dvis_r50_ytvis2019_online.py'),
    dict(name='offline', config='./dvis_r50_ytvis2019_offline.py'),
]
