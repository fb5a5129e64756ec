_base_ = './dvispp_vitl_ytvis2019_offline.py'

stages = [
    dict(name='segmenter', config='./dvispp_vitl_ytvis2019_segmenter.py'),
    dict(name='online', config='./dvispp_vitl_ytvis2019_online.py'),
    dict(name='offline', config='./dvispp_vitl_ytvis2019_offline.py'),
]
