# Every step on the generated videos, with the small models of configs/{mvc,dvispp}/dvispp_r18_synthetic.py.
_base_ = ['../_base_/datasets/synthetic.py', './_every_step.py']

dataset = dict(type='VSPWDataset', data_root=_base_.data_root, ann_file='val.txt', metainfo=_base_.metainfo)
baseline = dict(
    config='../dvispp/dvispp_r18_synthetic.py',
    checkpoint='work_dirs/dvispp/dvispp_r18_synthetic/offline/iter_500.pth')
mvc = dict(
    config='../mvc/dvispp_r18_synthetic.py',
    checkpoint='work_dirs/mvc/dvispp_r18_synthetic/offline/iter_500.pth')
models = {name: baseline if name.startswith('baseline') else mvc for name in _base_.models}
correction = dict(
    groups=[
        dict(stuff='surface', classes=('ground', 'water'), always=True),
        dict(stuff='round thing', classes=('ball', 'ring', 'flower'), always=True),
        dict(stuff='flying thing', classes=('kite', 'fish'), always=True),
        dict(stuff='box', classes=('crate', 'building'), always=True),
    ])
