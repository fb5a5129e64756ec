# As the submission, on VSPW's validation split, which its models have not seen: what each step does to the numbers.
_base_ = './vspw_test.py'

dataset = dict(ann_file='val.txt')
models = dict(
    _delete_=True,
    baseline=dict(
        config='../dvispp/dvispp_vitl_vspw.py',
        checkpoint='checkpoints/dvispp/dvispp_vitl_vspw_offline.pth'),
    baseline_tta=dict(
        config='../dvispp/dvispp_vitl_vspw.py',
        checkpoint='checkpoints/dvispp/dvispp_vitl_vspw_offline.pth',
        tta=_base_.tta),
    mvc=dict(
        config='../mvc/dvispp_vitl_vspw.py', checkpoint='checkpoints/mvc/dvispp_vitl_vspw_offline.pth'),
    mvc_tta=dict(
        config='../mvc/dvispp_vitl_vspw.py',
        checkpoint='checkpoints/mvc/dvispp_vitl_vspw_offline.pth',
        tta=_base_.tta))
aggregation = dict(models=('mvc_tta', 'baseline_tta'))
