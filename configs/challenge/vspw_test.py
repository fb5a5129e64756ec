# The submission of arXiv 2406.04979 for VSPW's test split; how it is run: tools/challenge_pipeline.py --help.
dataset = dict(type='VSPWDataset', data_root='data/VSPW_480p', ann_file='test.txt')
tta = dict(scales=(0.9, 1.0, 1.1, 1.2), flip=True, voting='majority')
models = dict(
    mvc=dict(
        config='../mvc/dvispp_vitl_vspw_trainval.py',
        checkpoint='checkpoints/mvc/dvispp_vitl_vspw_trainval_offline.pth',
        tta=tta),
    baseline=dict(
        config='../dvispp/dvispp_vitl_vspw.py',
        checkpoint='checkpoints/dvispp/dvispp_vitl_vspw_offline.pth',
        tta=tta))
aggregation = dict(models=('mvc', 'baseline'))
# The groups of classes are those of VSPW_GROUPS. Any server that speaks OpenAI's protocol: base_url='http://...'.
correction = dict(backend=dict(type='openai', model='gpt-4o'), requests_per_minute=60)
