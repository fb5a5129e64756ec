_base_ = './dvispp_plainconv_synthetic_offline.py'

stages = [
    dict(name='segmenter', config='./dvispp_plainconv_synthetic_segmenter.py'),
    dict(name='online', config='./dvispp_plainconv_synthetic_online.py'),
    dict(name='offline', config='./dvispp_plainconv_synthetic_offline.py'),
]
