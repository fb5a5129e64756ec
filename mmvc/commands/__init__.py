# Copyright (c) The mmvc contributors. All rights reserved.
