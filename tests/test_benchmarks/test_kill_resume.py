# Copyright (c) The mmvc contributors. All rights reserved.
from benchmarks.kill_resume import load_tiny


def test_the_training_draws_random_noise_and_has_a_memory(tmp_path):
    """What is to be resumed exactly; the small configs have neither."""
    model = load_tiny('offline', tmp_path).model
    assert model.tracker.noise.mode == 'wa' and model.tracker.noise.prob > 0
    assert model.refiner.reid_loss.type == 'TemporalContrastiveLoss'
