<?php
/**
 * Leaves nothing behind.
 *
 * @package OpsMantik
 */

defined( 'WP_UNINSTALL_PLUGIN' ) || exit;

$opsmantik_saved  = get_option( 'opsmantik', array() );
$opsmantik_server = is_array( $opsmantik_saved ) && isset( $opsmantik_saved['server'] ) ? (string) $opsmantik_saved['server'] : '';
delete_transient( 'opsmantik_script_' . md5( $opsmantik_server ) );
delete_option( 'opsmantik' );
delete_option( 'opsmantik_call_secret' );
