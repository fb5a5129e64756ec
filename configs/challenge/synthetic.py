# Every step on the generated videos, with the small models of configs/{mvc,dvispp}/dvispp_r18_synthetic.py.
_base_ = '../_base_/datasets/synthetic.py'

dataset = dict(type='VSPWDataset', data_root=_base_.data_root, ann_file='val.txt', metainfo=_base_.metainfo)
baseline = dict(
    config='../dvispp/dvispp_r18_synthetic_offline.py',
    checkpoint='work_dirs/dvispp/dvispp_r18_synthetic/offline/iter_350.pth')
mvc = dict(
    config='../mvc/dvispp_r18_synthetic_offline.py',
    checkpoint='work_dirs/mvc/dvispp_r18_synthetic/offline/iter_350.pth')
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
        dict(stuff='surface', classes=('ground', 'water'), always=True),
        dict(stuff='round thing', classes=('ball', 'ring', 'flower'), always=True),
        dict(stuff='flying thing', classes=('kite', 'fish'), always=True),
        dict(stuff='box', classes=('crate', 'building'), always=True),
    ],
    settings=dict(min_area=0.002))
