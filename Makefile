# A thin face of tools/dev.py, which does the work and also runs where make is absent.
# Settings go on the same line and reach it through the environment: make demo LINK=tls
PYTHON ?= python3

help demo run test check bench soak netlab deb repo test-system test-apparmor lock manuals translations screenshots clean:
	@$(PYTHON) tools/dev.py $@

.PHONY: help demo run test check bench soak netlab deb repo test-system test-apparmor lock manuals translations screenshots clean
