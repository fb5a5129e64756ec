# Every step on the CamVid clip, with the small models of configs/{mvc,dvispp}/dvispp_r18_camvid.py.
dataset = dict(type='CamVidDataset', data_root='data/camvid', ann_file='ImageSets/val.txt')
baseline = dict(
    config='../dvispp/dvispp_r18_camvid_offline.py',
    checkpoint='work_dirs/dvispp/dvispp_r18_camvid/offline/iter_800.pth')
mvc = dict(
    config='../mvc/dvispp_r18_camvid_offline.py',
    checkpoint='work_dirs/mvc/dvispp_r18_camvid/offline/iter_800.pth')
models = dict(
    baseline=baseline,
    baseline_tta=dict(**baseline, tta=dict(scales=(0.9, 1.0, 1.1, 1.2))),
    mvc=mvc,
    mvc_flip=dict(**mvc, tta=dict(scales=(1.0, ), voting='soft')),
    mvc_large=dict(**mvc, tta=dict(scales=(1.0, 1.1, 1.2), flip=False)),
    mvc_large_flip=dict(**mvc, tta=dict(scales=(1.0, 1.1, 1.2))),
    mvc_all=dict(**mvc, tta=dict(scales=(0.9, 1.0, 1.1, 1.2), flip=False)),
    mvc_tta=dict(**mvc, tta=dict(scales=(0.9, 1.0, 1.1, 1.2))))
aggregation = dict(models=('mvc_tta', 'baseline_tta'))
correction = dict(
    backend=dict(type='openai', model='gpt-4o'),
    groups=[
        dict(stuff='ground', classes=('road', 'pavement'), always=True),
        dict(stuff='upright object', classes=('pole', 'signsymbol'), always=True),
        dict(stuff='structure', classes=('building', 'fence'), always=True),
        dict(stuff='road user', classes=('pedestrian', 'bicyclist', 'car'), always=True),
    ],
    settings=dict(min_area=0.002))
