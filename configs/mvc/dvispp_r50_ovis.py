_base_ = './dvispp_r50_ovis_offline.py'

stages = [
    dict(name='segmenter', config='./dvispp_r50_ovis_segmenter.py'),
    dict(name='online', config='./dvispp_r50_ovis_online.py'),
    dict(name='offline', config='./dvispp_r50_ovis_offline.py'),
]
