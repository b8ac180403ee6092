<?php
/**
 * The script element on every page.
 *
 * @package OpsMantik
 */

defined( 'ABSPATH' ) || exit;

/** Prints it, unless there is nothing to print or the visitor is an administrator who is left out. */
function opsmantik_print_tag() {
	$settings = opsmantik_settings();
	if ( '' === $settings['server'] || '' === $settings['site'] ) {
		return;
	}
	if ( $settings['skip_admins'] && current_user_can( 'manage_options' ) ) {
		return;
	}
	$attributes = array(
		'src'          => esc_url( $settings['proxy'] ? rest_url( 'opsmantik/v1/core.js' ) : $settings['server'] . '/assets/core.js' ),
		'defer'        => true,
		'data-site-id' => $settings['site'],
	);
	if ( $settings['proxy'] ) {
		$attributes['data-api'] = esc_url( rest_url( 'opsmantik/v1/events' ) );
	}
	if ( 'required' === $settings['consent'] ) {
		$attributes['data-consent'] = 'required';
	}
	// Escapes every attribute, and adds the page's own nonce where a filter gives one.
	wp_print_script_tag( apply_filters( 'opsmantik_tag', $attributes ) );
}
