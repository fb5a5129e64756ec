_base_ = './dvispp_vitl_vipseg_offline.py'

stages = [
    dict(name='segmenter', config='./dvispp_vitl_vipseg_segmenter.py'),
    dict(name='online', config='./dvispp_vitl_vipseg_online.py'),
    dict(name='offline', config='./dvispp_vitl_vipseg_offline.py'),
]
