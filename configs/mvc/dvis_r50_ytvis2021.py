_base_ = './dvis_r50_ytvis2021_offline.py'

stages = [
    dict(name='segmenter', config='./dvis_r50_ytvis2021_segmenter.py'),
    dict(name='online', config='./dvis_r50_ytvis2021_online.py'),
    dict(name='offline', config='./dvis_r50_ytvis2021_offline.py'),
]
