"""A dataset in a layout of its own: the frames of all videos in one folder, the video's name in that of the file."""

from collections import defaultdict
from pathlib import Path

from mmvc.datasets import BaseVideoSegDataset
from mmvc.formats.vspw import read_video_list
from mmvc.registry import DATASETS
from mmvc.utils.natural_order import natural_key


@DATASETS.register_module()
class FlatFolderDataset(BaseVideoSegDataset):
    """``images/<video>_<frame>.jpg``, ``labels/<video>_<frame>.png``, and a list of videos for each split."""

    METAINFO = dict(
        classes=('sky', 'ground', 'water', 'building', 'ball', 'crate', 'flower', 'fish', 'kite', 'ring'),
        palette=[(70, 130, 180), (107, 142, 35), (0, 80, 200), (150, 100, 90), (220, 20, 60), (139, 90, 43),
                 (255, 105, 180), (255, 165, 0), (148, 0, 211), (64, 64, 64)])
    DATA_PREFIX = dict(img_path='images', seg_map_path='labels')
    LABEL_OFFSET = 1  # the value 1 in a mask is the first class ...
    VOID_VALUES = (0, )  # ... and 0 is unlabelled

    def load_data_list(self) -> list[dict]:
        """One dict per video of the list, with the paths of its frames and masks in order."""
        videos = defaultdict(list)
        for path in Path(self.data_prefix['img_path']).glob(f'*{self.img_suffix}'):
            videos[path.stem.rpartition('_')[0]].append(path)
        return [self._entry(name, videos[name]) for name in read_video_list(self.ann_file)]

    def _entry(self, name: str, paths: list[Path]) -> dict:
        images = []
        for frame_id, path in enumerate(sorted(paths, key=lambda path: natural_key(path.stem))):
            mask = Path(self.data_prefix['seg_map_path'], f'{path.stem}{self.seg_map_suffix}')
            images.append(dict(img_path=str(path), seg_map_path=str(mask), frame_id=frame_id))
        return dict(video_id=name, video_length=len(images), images=images)
