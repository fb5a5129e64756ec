_base_ = './dvispp_r50_vspw_trainval_offline.py'

stages = [
    dict(name='segmenter', config='./dvispp_r50_vspw_trainval_segmenter.py'),
    dict(name='online', config='./dvispp_r50_vspw_trainval_online.py'),
    dict(name='offline', config='./dvispp_r50_vspw_trainval_offline.py'),
]
