_base_ = './dvispp_r18_camvid_offline.py'

stages = [
    dict(name='segmenter', config='./dvispp_r18_camvid_segmenter.py'),
    dict(name='online', config='./dvispp_r18_camvid_online.py'),
    dict(name='offline', config='./dvispp_r18_camvid_offline.py'),
]
