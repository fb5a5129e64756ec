# Tab. 6 of arXiv 2408.10627: drop ratio d of OMA, with and without dropping in testing ("Masked Inf."; same weights).
drop = 'model.refiner.cross_attn'
variants = [
    dict(name='baseline', overrides=dict(offline={f'{drop}.drop_ratio': 0.0})),
    *[dict(name=f'd{d}', overrides=dict(offline={f'{drop}.drop_ratio': d})) for d in (0.2, 0.5, 0.7)],
    *[
        dict(
            name=f'd{d}_masked_inference',
            overrides=dict(offline={f'{drop}.drop_ratio': d}),
            test_overrides=dict(offline={f'{drop}.mask_at_test': True})) for d in (0.2, 0.5, 0.7)
    ],
]
