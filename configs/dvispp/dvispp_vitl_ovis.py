_base_ = './dvispp_vitl_ovis_offline.py'

stages = [
    dict(name='segmenter', config='./dvispp_vitl_ovis_segmenter.py'),
    dict(name='online', config='./dvispp_vitl_ovis_online.py'),
    dict(name='offline', config='./dvispp_vitl_ovis_offline.py'),
]
