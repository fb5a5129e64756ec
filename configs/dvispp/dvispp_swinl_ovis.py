_base_ = './dvispp_swinl_ovis_offline.py'

stages = [
    dict(name='segmenter', config='./dvispp_swinl_ovis_segmenter.py'),
    dict(name='online', config='./dvispp_swinl_ovis_online.py'),
    dict(name='offline', config='./dvispp_swinl_ovis_offline.py'),
]
