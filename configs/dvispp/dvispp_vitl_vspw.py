_base_ = './dvispp_vitl_vspw_offline.py'

stages = [
    dict(name='segmenter', config='./dvispp_vitl_vspw_segmenter.py'),
    dict(name='online', config='./dvispp_vitl_vspw_online.py'),
    dict(name='offline', config='./dvispp_vitl_vspw_offline.py'),
]
