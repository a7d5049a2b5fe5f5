"""Wires the staff admin: one site, behind the second factor."""

from django.contrib.admin.apps import AdminConfig


class PitheadAdminConfig(AdminConfig):
    default = False
    default_site = "accounts.admin_site.StaffSite"
