"""The simulated workbench: browsers that show a case each, and look again when something happened to it."""
