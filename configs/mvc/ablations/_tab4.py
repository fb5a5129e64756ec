# Tab. 4 of arXiv 2408.10627: MVC-1, MVC-2 and OMA, one after the other.
_base_ = './_variants.py'

variants = [
    dict(name='baseline', overrides=dict(segmenter=_base_.no_mvc1, online=_base_.no_mvc2, offline=_base_.no_oma)),
    dict(name='mvc1', overrides=dict(online=_base_.no_mvc2, offline=_base_.no_oma)),
    dict(name='mvc1_mvc2', overrides=dict(offline=_base_.no_oma)),
    dict(name='mvc1_mvc2_oma'),
]
of_stages = [
    dict(name='segmenter mIoU', stage='segmenter', number='vss/mIoU'),
    dict(name='+ tracker mIoU', stage='online', number='vss/mIoU'),
    dict(name='+ refiner mIoU', stage='offline', number='vss/mIoU'),
]
of_masked = [
    dict(name='mIoU, 30 % hidden', stage='offline', number='vss/mIoU', evaluation='masked30'),
    dict(name='mIoU, 50 % hidden', stage='offline', number='vss/mIoU', evaluation='masked50'),
    dict(name='mIoU, 70 % hidden', stage='offline', number='vss/mIoU', evaluation='masked70'),
    dict(name='fall, 50 % hidden', stage='offline', number='vss/mIoU', minus='masked50', higher_is_better=False),
]
