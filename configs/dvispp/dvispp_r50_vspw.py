_base_ = './dvispp_r50_vspw_offline.py'

stages = [
    dict(name='segmenter', config='./dvispp_r50_vspw_segmenter.py'),
    dict(name='online', config='./dvispp_r50_vspw_online.py'),
    dict(name='offline', config='./dvispp_r50_vspw_offline.py'),
]
