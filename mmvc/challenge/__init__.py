# Copyright (c) The mmvc contributors. All rights reserved.
"""The challenge solution of arXiv 2406.04979: aggregation of models, category correction and the whole pipeline.

- :mod:`mmvc.challenge.aggregation` chooses the best model for each video;
- :mod:`mmvc.challenge.correction` asks a multimodal model about segments whose class is in doubt;
- :mod:`mmvc.challenge.pipeline` runs all steps of a config, from the models to the submission.

Test-time voting is part of the models, see :mod:`mmvc.models.tta`.
"""
