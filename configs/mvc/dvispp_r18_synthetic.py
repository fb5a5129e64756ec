_base_ = './dvispp_r18_synthetic_offline.py'

stages = [
    dict(name='segmenter', config='./dvispp_r18_synthetic_segmenter.py'),
    dict(name='online', config='./dvispp_r18_synthetic_online.py'),
    dict(name='offline', config='./dvispp_r18_synthetic_offline.py'),
]
