# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData

from mmvc.evaluation import VSSMetric
from mmvc.models.task_modules.postprocessors import VISPostprocessor
from mmvc.models.task_modules.postprocessors.video_prediction import require_no_nan
from mmvc.registry import MODELS
from mmvc.utils.errors import NonFiniteError
from tests.helpers.tiny_models import STAGES


def sample(**fields):
    frame = DetDataSample(metainfo=dict(video_id='street', frame_id=0, ori_shape=(64, 64), img_shape=(64, 64),
                                        video_length=1))
    for name, value in fields.items():
        setattr(frame, name, value)
    return TrackDataSample(video_data_samples=[frame])


@pytest.mark.parametrize('stage', sorted(STAGES))
def test_a_model_whose_weights_are_nan_names_the_video(stage):
    init_default_scope('mmvc')
    model = MODELS.build(ConfigDict(STAGES[stage], postprocessor=dict(type='VSSPostprocessor'))).eval()
    part = getattr(model, 'refiner', None) or getattr(model, 'tracker', None) or model.backbone
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.fill_(float('nan'))
    video = torch.randint(0, 255, (1, 3, 64, 64), dtype=torch.uint8)
    with pytest.raises(NonFiniteError, match=r'video "street": the model predicts NaN \(.*Check the checkpoint'):
        model.predict([video], [sample()])
    if model.is_online:
        with pytest.raises(NonFiniteError, match='the model predicts NaN'):
            list(model.stream([video], (64, 64)))


@pytest.mark.parametrize('stage', sorted(STAGES))
@pytest.mark.parametrize('part', ['mask_feature', 'mask_embed'])
@pytest.mark.parametrize('task', ['VSS', 'VIS'])
def test_infinite_masks_name_the_video(stage, part, task):
    """As in half precision. All class scores are good, and the masks would be empty."""
    init_default_scope('mmvc')
    model = MODELS.build(ConfigDict(STAGES[stage], postprocessor=dict(type=f'{task}Postprocessor'))).eval()
    biases = [value for name, value in model.named_parameters() if part in name and name.endswith('bias')]
    with torch.no_grad():
        biases[0 if part == 'mask_feature' else -1][:2] = float('inf')
    with pytest.raises(NonFiniteError, match='video "street": the model predicts NaN'):
        model.predict([torch.randint(0, 255, (1, 3, 64, 64), dtype=torch.uint8)], [sample()])


def test_infinite_values_are_no_nan():
    require_no_nan(scores=torch.tensor([float('inf'), float('-inf')]), labels=torch.tensor([1]), missing=None)


def test_tracks_without_a_score_are_refused():
    with pytest.raises(NonFiniteError, match='class_probs'):
        VISPostprocessor(3)._best_pairs(torch.full((5, 4), float('nan')))


@pytest.mark.parametrize('fields', [
    dict(seg_logits=PixelData(data=torch.full((2, 4, 4), float('nan')))),
    dict(pred_instances=InstanceData(scores=torch.tensor([0.5, float('nan')]))),
])
def test_metrics_refuse_nan_of_models_of_other_packages(fields):
    with pytest.raises(NonFiniteError, match='video "street": the model predicts NaN'):
        VSSMetric(num_classes=2, label_offset=0).process({}, [sample(**fields)])
