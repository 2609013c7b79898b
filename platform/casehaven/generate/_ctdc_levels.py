"""Levels of the made-up ``ctdc-global`` world, solved by ``calibration.py``; run it again after a change to the effects."""

from __future__ import annotations

import numpy as np

__all__ = ["AGE_LEVEL", "GAP_LEVEL", "MAN_LEVEL", "MEANS_LEVEL", "RECRUITER_LEVEL"]

# kind of source x age band
AGE_LEVEL = np.array(
    [[-2.3, 0.4, 0.4, 0.3, 0.1, -0.1, 0.7, 0.0, -0.5], [-3.8, -1.3, -0.1, 0.2, 0.3, 0.2, 1.0, 0.3, -0.5]]
)

# kind of source x kind of exploitation
MAN_LEVEL = np.array([[-2.1, 0.5, -1.3, 0.0], [-3.0, 0.0, -2.2, 0.2]])

# kind of source x entry of GAPS
GAP_LEVEL = np.array(
    [[-1.1, 0.3, -0.4, -2.7, 4.0, -0.4, 0.3, 0.5, -0.5, -1.0], [-2.3, -0.7, -2.5, -4.0, 1.7, -1.6, -0.1, 0.5, -1.0, -1.0]]
)

# kind of source x kind of exploitation x mean of control
MEANS_LEVEL = np.array(
    [
        [
            [-1.8, -0.7, 0.1, -3.3, -1.2, -1.2, -5.0, -3.8],
            [0.5, 0.3, -0.3, -1.6, -4.0, -0.2, -1.2, -2.4],
            [-0.5, 0.0, 0.3, -1.9, -1.4, -0.5, -3.2, -3.0],
            [-1.5, -0.8, -0.2, -2.5, -2.2, -0.9, -2.8, -3.0],
        ],
        [
            [-0.3, 0.2, 0.5, 0.4, -2.4, -0.8, -2.0, -0.9],
            [0.3, -0.4, -0.6, 0.8, -4.4, -0.4, 0.2, -0.5],
            [0.3, 0.2, 0.5, 0.6, -2.2, -0.1, -0.3, -0.2],
            [-0.9, 0.1, 0.5, 0.0, -2.8, 0.0, -1.0, -1.6],
        ],
    ]
)

# kind of source x kind of exploitation x recruiter relation
RECRUITER_LEVEL = np.array(
    [
        [[-0.4, -1.8, -0.8, -1.0], [-1.2, -0.8, -0.8, 1.2], [-0.3, -1.4, -0.6, 0.2], [-1.0, -1.5, 0.4, -0.5]],
        [[-0.6, -0.6, -0.5, 0.2], [-2.6, -0.6, -0.8, 1.4], [-0.8, -0.6, -0.4, 0.6], [-1.4, -1.0, 1.0, -0.2]],
    ]
)
