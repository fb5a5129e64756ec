# What the pipelines of the small models have in common: every row of the tables in docs/en/challenge.md.
models = dict(
    baseline=dict(),
    baseline_tta=dict(tta=dict(scales=(0.9, 1.0, 1.1, 1.2))),
    mvc=dict(),
    mvc_flip=dict(tta=dict(scales=(1.0, ), voting='soft')),
    mvc_large=dict(tta=dict(scales=(1.0, 1.1, 1.2), flip=False)),
    mvc_large_flip=dict(tta=dict(scales=(1.0, 1.1, 1.2))),
    mvc_all=dict(tta=dict(scales=(0.9, 1.0, 1.1, 1.2), flip=False)),
    mvc_tta=dict(tta=dict(scales=(0.9, 1.0, 1.1, 1.2))))
aggregation = dict(models=('mvc_tta', 'baseline_tta'))
correction = dict(backend=dict(type='openai', model='gpt-4o'), settings=dict(min_area=0.002))
