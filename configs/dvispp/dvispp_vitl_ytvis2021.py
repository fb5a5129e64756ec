_base_ = './dvispp_vitl_ytvis2021_offline.py'

stages = [
    dict(name='segmenter', config='./dvispp_vitl_ytvis2021_segmenter.py'),
    dict(name='online', config='./dvispp_vitl_ytvis2021_online.py'),
    dict(name='offline', config='./dvispp_vitl_ytvis2021_offline.py'),
]
