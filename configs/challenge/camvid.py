# Every step on the CamVid clip, with the small models of configs/{mvc,dvispp}/dvispp_r18_camvid.py.
_base_ = './_every_step.py'

dataset = dict(type='CamVidDataset', data_root='data/camvid', ann_file='ImageSets/val.txt')
baseline = dict(
    config='../dvispp/dvispp_r18_camvid.py',
    checkpoint='work_dirs/dvispp/dvispp_r18_camvid/offline/iter_800.pth')
mvc = dict(
    config='../mvc/dvispp_r18_camvid.py',
    checkpoint='work_dirs/mvc/dvispp_r18_camvid/offline/iter_800.pth')
models = {name: baseline if name.startswith('baseline') else mvc for name in _base_.models}
correction = dict(
    groups=[
        dict(stuff='ground', classes=('road', 'pavement'), always=True),
        dict(stuff='upright object', classes=('pole', 'signsymbol'), always=True),
        dict(stuff='structure', classes=('building', 'fence'), always=True),
        dict(stuff='road user', classes=('pedestrian', 'bicyclist', 'car'), always=True),
    ])
