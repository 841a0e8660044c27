# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of scripts/bench. This file makes Python take this folder even where another benchmark is installed."""
