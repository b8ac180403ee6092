<?php
/**
 * Plugin Name:       OpsMantik
 * Description:       Puts OpsMantik's script on every page: which ad click became a call, a WhatsApp message or a form. Optionally through this site's own address, and with signed reports of calls.
 * Version:           1.0.0
 * Requires at least: 5.7
 * Requires PHP:      7.4
 * License:           GPL-2.0-or-later
 * License URI:       https://www.gnu.org/licenses/gpl-2.0.html
 * Text Domain:       opsmantik
 *
 * This folder is licensed under the GNU General Public License, version 2 or (at your option) any later version, as
 * WordPress itself is: see the file LICENSE beside this one.
 *
 * @package OpsMantik
 */

defined( 'ABSPATH' ) || exit;

define( 'OPSMANTIK_VERSION', '1.0.0' );

require_once __DIR__ . '/includes/settings.php';
require_once __DIR__ . '/includes/tag.php';
require_once __DIR__ . '/includes/proxy.php';
require_once __DIR__ . '/includes/calls.php';

add_action( 'wp_head', 'opsmantik_print_tag', 1 );
add_action( 'rest_api_init', 'opsmantik_register_routes' );
add_filter( 'rest_pre_serve_request', 'opsmantik_serve_raw', 10, 4 );
add_action( 'opsmantik_report_call', 'opsmantik_report_call' );

if ( is_admin() ) {
	add_action( 'admin_menu', 'opsmantik_add_page' );
	add_action( 'admin_init', 'opsmantik_register_settings' );
	add_action( 'admin_post_opsmantik_secret', 'opsmantik_save_secret' );
}
